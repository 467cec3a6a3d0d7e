# docker build --target train  -t edge-retina:train  .    train, quantise, export
# docker build --target device -t edge-retina:device .    run .tflite files; no TensorFlow
#
# docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" edge-retina:train run my.toml --out runs/mine

FROM python:3.11-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HOME=/tmp
RUN useradd --create-home --uid 1000 retina
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY edge_retina ./edge_retina

FROM base AS device
RUN pip install --constraint constraints.txt .
USER retina
WORKDIR /work
ENTRYPOINT ["edge-retina"]
CMD ["--help"]

FROM base AS train
RUN pip install --constraint constraints.txt ".[train]"
USER retina
WORKDIR /work
ENTRYPOINT ["edge-retina"]
CMD ["--help"]
