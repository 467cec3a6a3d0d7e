"""Documents as `benchmark --json` writes them, without measuring."""

from __future__ import annotations

from typing import Any


def result(model: str, backend: str, threads: int, p50: float, **changes: Any) -> dict[str, Any]:
    """Return a result with five samples around its median."""
    samples = [p50 * share for share in (0.9, 0.95, 1.0, 1.1, 1.5)]
    return {
        "model": model,
        "sha256": "00" * 32,
        "precision": "int8" if "int8" in model else "float32",
        "backend": backend,
        "threads": threads,
        "size_bytes": 1_070_000 if "int8" in model else 2_500_000,
        "init_ms": 12.34,
        "latency_ms": {
            "n": 5,
            "mean": sum(samples) / 5,
            "stdev": 1.0,
            "min": samples[0],
            "p50": p50,
            "p90": samples[3],
            "p99": samples[4],
            "samples": samples,
            "rounds_ms": [p50],
        },
        "stages_ms": {"preprocess": 0.1 * p50, "inference": 0.8 * p50, "postprocess": 0.1 * p50},
        "peak_memory_mb": 98.7,
        "delegate": {
            "name": "xnnpack",
            "partitions": 2,
            "nodes_delegated": 60,
            "nodes_total": 66,
        },
        "mAP": 0.578,
        "mAP50": 0.891,
        "images": 72,
        "warnings": [],
        "warning_codes": [],
        "first_inference_ms": 5.0,
        "mAP_device": "local",
        "op_profile": [],
        "mAP_low": 0.551,
        "mAP_high": 0.604,
        **changes,
    }


def document(**changes: Any) -> dict[str, Any]:
    """Return a float and an int8 model, with two backends each, and their comparisons."""
    float32, int8 = "runs/x/export/x_float32.tflite", "runs/x/export/x_int8.tflite"
    backends = ("tflite-xnnpack", "tflite-builtin")
    return {
        "schema_version": 1,
        "device": "local",
        "environment": {"cpu": "Some <CPU>", "cores": 2, "packages": {"numpy": "2.0"}},
        "results": [
            result(float32, backends[0], 1, 4.2, mAP=0.579),
            result(float32, backends[1], 1, 13.7, mAP=0.579, delegate=None),
            result(int8, backends[0], 1, 2.1),
            result(int8, backends[1], 1, 11.5, delegate=None),
        ],
        "comparisons": [
            {
                "model": int8,
                "backend": backend,
                "threads": 1,
                "reference": float32,
                "reference_backend": backend,
                "ratio": ratio,
                "low": ratio - 0.1,
                "high": ratio + 0.1,
                "rounds": 3,
                "mAP_difference": -0.001,
                "mAP_difference_low": -0.006,
                "mAP_difference_high": 0.004,
                "verdict": "faster",
            }
            for backend, ratio in zip(backends, (0.5, 0.84), strict=True)
        ],
        "missing": "",
        "data": {"path": "../data/bccd", "split": "test", "images": 72, "sha256": "11" * 32},
        **changes,
    }
