#!/bin/bash
# Trains on two nodes, one process on each, which uses all GPUs of its node:
#
#   sbatch slurm.sh config.toml runs/mine
#
# The config, the data and the RUN must lie on a file system that all nodes share. If the job is
# stopped, submit it again: it goes on from the last checkpoint.
#SBATCH --job-name=edge-retina
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --requeue
set -euo pipefail

config=$1 out=$2
port=$((20000 + SLURM_JOB_ID % 20000))
workers=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:$port\"/" | paste -sd,)
export workers config out

# Each task has a number of its own, so TF_CONFIG is put together there.
srun --kill-on-bad-exit=1 bash -c '
  export TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec edge-retina train "$config" --out "$out"
'
