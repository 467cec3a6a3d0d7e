"""The TFLite metadata schema as data: tables, unions and enums by name.

A field's place in its tuple is its slot in the flatbuffer, so fields are only ever appended; a
union takes two slots, its type and its value. Kinds: `string`, `bool`, `float`, `int`, `uint`,
`bytes`, the name of an enum, a union or a table, and most of these in brackets for a vector.

Source: metadata_schema.fbs, version 1.5.0 (file identifier M001), of MediaPipe Tasks, without the
options of text models, which no detector has: an unknown member of a union is read as an empty
table; and object_detector_metadata_schema.fbs, version 1.0.0 (V001), a flatbuffer of its own inside
the custom metadata of detectors without NMS.
"""

from __future__ import annotations

ROOT = "ModelMetadata"
DETECTOR_ROOT = "ObjectDetectorOptions"
FILE_IDENTIFIERS = {ROOT: b"M001", DETECTOR_ROOT: b"V001"}
DETECTOR_ENTRY = "DETECTOR_METADATA"  # name of the custom metadata with the detector's options

ENUMS: dict[str, tuple[str, ...]] = {
    "AssociatedFileType": (
        "UNKNOWN",
        "DESCRIPTIONS",
        "TENSOR_AXIS_LABELS",
        "TENSOR_VALUE_LABELS",
        "TENSOR_AXIS_SCORE_CALIBRATION",
        "VOCABULARY",
        "SCANN_INDEX_FILE",
    ),
    "ColorSpaceType": ("UNKNOWN", "RGB", "GRAYSCALE"),
    "BoundingBoxType": ("UNKNOWN", "BOUNDARIES", "UPPER_LEFT", "CENTER"),
    "CoordinateType": ("RATIO", "PIXEL"),
    "ScoreTransformationType": ("IDENTITY", "LOG", "INVERSE_LOGISTIC"),
}

# The member of type 0 is "none": an absent union.
UNIONS: dict[str, tuple[str, ...]] = {
    "ContentProperties": (
        "",
        "FeatureProperties",
        "ImageProperties",
        "BoundingBoxProperties",
        "AudioProperties",
    ),
    "ProcessUnitOptions": (
        "",
        "NormalizationOptions",
        "ScoreCalibrationOptions",
        "ScoreThresholdingOptions",
        "BertTokenizerOptions",
        "SentencePieceTokenizerOptions",
        "RegexTokenizerOptions",
    ),
}

TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "AssociatedFile": (
        ("name", "string"),
        ("description", "string"),
        ("type", "AssociatedFileType"),
        ("locale", "string"),
        ("version", "string"),
    ),
    "FeatureProperties": (),
    "ImageSize": (("width", "uint"), ("height", "uint")),
    "ImageProperties": (("color_space", "ColorSpaceType"), ("default_size", "ImageSize")),
    "BoundingBoxProperties": (
        ("index", "[uint]"),
        ("type", "BoundingBoxType"),
        ("coordinate_type", "CoordinateType"),
    ),
    "AudioProperties": (("sample_rate", "uint"), ("channels", "uint")),
    "ValueRange": (("min", "int"), ("max", "int")),
    "Content": (("content_properties", "ContentProperties"), ("range", "ValueRange")),
    "NormalizationOptions": (("mean", "[float]"), ("std", "[float]")),
    "ScoreCalibrationOptions": (
        ("score_transformation", "ScoreTransformationType"),
        ("default_score", "float"),
    ),
    "ScoreThresholdingOptions": (("global_score_threshold", "float"),),
    "BertTokenizerOptions": (),
    "SentencePieceTokenizerOptions": (),
    "RegexTokenizerOptions": (),
    "ProcessUnit": (("options", "ProcessUnitOptions"),),
    "Stats": (("max", "[float]"), ("min", "[float]")),
    "TensorGroup": (("name", "string"), ("tensor_names", "[string]")),
    "TensorMetadata": (
        ("name", "string"),
        ("description", "string"),
        ("dimension_names", "[string]"),
        ("content", "Content"),
        ("process_units", "[ProcessUnit]"),
        ("stats", "Stats"),
        ("associated_files", "[AssociatedFile]"),
    ),
    "CustomMetadata": (("name", "string"), ("data", "bytes")),
    "SubGraphMetadata": (
        ("name", "string"),
        ("description", "string"),
        ("input_tensor_metadata", "[TensorMetadata]"),
        ("output_tensor_metadata", "[TensorMetadata]"),
        ("associated_files", "[AssociatedFile]"),
        ("input_process_units", "[ProcessUnit]"),
        ("output_process_units", "[ProcessUnit]"),
        ("input_tensor_groups", "[TensorGroup]"),
        ("output_tensor_groups", "[TensorGroup]"),
        ("custom_metadata", "[CustomMetadata]"),
    ),
    "ModelMetadata": (
        ("name", "string"),
        ("description", "string"),
        ("version", "string"),
        ("subgraph_metadata", "[SubGraphMetadata]"),
        ("author", "string"),
        ("license", "string"),
        ("associated_files", "[AssociatedFile]"),
        ("min_parser_version", "string"),
    ),
    "FixedAnchor": (
        ("x_center", "float"),
        ("y_center", "float"),
        ("width", "float"),
        ("height", "float"),
    ),
    "FixedAnchorsSchema": (("anchors", "[FixedAnchor]"),),
    "SsdAnchorsOptions": (("fixed_anchors_schema", "FixedAnchorsSchema"),),
    "TensorsDecodingOptions": (
        ("num_classes", "int"),
        ("num_boxes", "int"),
        ("num_coords", "int"),
        ("keypoint_coord_offset", "int"),
        ("num_keypoints", "int"),
        ("num_values_per_keypoint", "int"),
        ("x_scale", "float"),
        ("y_scale", "float"),
        ("w_scale", "float"),
        ("h_scale", "float"),
        ("apply_exponential_on_box_size", "bool"),
        ("sigmoid_score", "bool"),
    ),
    "ObjectDetectorOptions": (
        ("min_parser_version", "string"),
        ("ssd_anchors_options", "SsdAnchorsOptions"),
        ("tensors_decoding_options", "TensorsDecodingOptions"),
    ),
}


def slots(table: str) -> tuple[tuple[int, str, str], ...]:
    """Return (slot, field, kind) of a table's fields; a union's slot is that of its value."""
    found, slot = [], 0
    for field, kind in TABLES[table]:
        slot += kind in UNIONS
        found.append((slot, field, kind))
        slot += 1
    return tuple(found)


def slot_count(table: str) -> int:
    """Return how many slots a table has."""
    return len(TABLES[table]) + sum(kind in UNIONS for _, kind in TABLES[table])
