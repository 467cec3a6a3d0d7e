"""YAML from elsewhere: class lists and `data.yaml`, whose cost is bounded by their size."""

from __future__ import annotations

from typing import Any

MOST_BYTES = 2**20  # some seconds; class lists have a few kilobytes


def parse_yaml(text: str) -> Any:
    """Return the value of YAML text; only plain values, lists and mappings are made.

    Merge keys (`<<`) are refused. A few hundred bytes of them that merge one another fill any
    memory, and no class list needs them.

    Raises:
        ValueError: no YAML, nested too deeply, larger than `MOST_BYTES`, or with merge keys; the
            text says which, in one line.
    """
    import yaml  # a device behind ssh gets its labels in the task, and may lack this

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        """PyYAML's safe loader without merge keys."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    raise ValueError(
                        f"line {key.start_mark.line + 1}: merge keys (<<) are not read; write the "
                        "keys out"
                    )
            super().flatten_mapping(node)

    if len(text) > MOST_BYTES:
        raise ValueError(
            f"it has {len(text)} characters, but at most {MOST_BYTES // 2**20} MiB are read; "
            "name long lists of pictures in a text file"
        )
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: day 2024-99-99
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("its lists or mappings are nested too deeply") from None
