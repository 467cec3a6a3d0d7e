"""Why a trained detector is poor: suspected causes, what they cost, and what mends them."""
