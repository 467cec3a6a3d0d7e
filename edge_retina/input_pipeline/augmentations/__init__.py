"""One augmentation per file; `table.AUGMENTATIONS` says which are applied, in which order."""
