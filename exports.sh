. /work/exp/s9/decoders/env.sh; cd /work/exp/s9/decoders/ex; set -x
time nice -n 5 python -m edge_retina.cli.main export /work/exp/s9/runs/bccd --out all --no-nms --decoder python,cpp,kotlin,swift,js
time nice -n 5 python -m edge_retina.cli.main export /work/exp/s9/runs/bccd --out levels --target micro,gpu --decoder python,cpp,kotlin,swift,js
