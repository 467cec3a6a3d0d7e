"""The 80 classes of COCO, and their numbers, of which ten between 1 and 90 are not used."""

from __future__ import annotations

# Source: the `categories` of the COCO 2017 annotation files. A dash is a number without a class.
_NAMES = """
person bicycle car motorcycle airplane bus train truck boat traffic_light
fire_hydrant - stop_sign parking_meter bench bird cat dog horse sheep
cow elephant bear zebra giraffe - backpack umbrella - -
handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove
skateboard surfboard tennis_racket bottle - wine_glass cup fork knife spoon
bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut
cake chair couch potted_plant bed - dining_table - - toilet
- tv laptop mouse remote keyboard cell_phone microwave oven toaster
sink refrigerator - book clock vase scissors teddy_bear hair_drier toothbrush
"""
COCO_CLASSES: dict[int, str] = {
    number: name.replace("_", " ") for number, name in enumerate(_NAMES.split(), 1) if name != "-"
}
