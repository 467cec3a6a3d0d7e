# docker build --target device -t edge-retina:device .    run .tflite files; no TensorFlow
# docker build --target train  -t edge-retina:train  .    train, quantise, export
#
# docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" edge-retina:train run my.toml --out runs/mine
#
# Every Python package is pinned with its hashes, in requirements/. To pin the base too, give its
# digest: --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm

# Python and a user: the ground of both images.
FROM ${BASE} AS base
ENV PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PATH=/opt/edge-retina/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN useradd --create-home --uid 1000 --user-group retina

# What only a build needs, and an environment without pip, into which it installs.
FROM base AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --quiet --require-hashes --requirement requirements/build.txt \
 && python3 -m venv --without-pip /opt/edge-retina

FROM tools AS wheel
COPY pyproject.toml MANIFEST.in README.md LICENSE NOTICE ./
COPY edge_retina edge_retina
RUN /opt/tools/bin/python -m build --wheel --no-isolation --outdir /dist \
 && /opt/tools/bin/pip --python /opt/edge-retina/bin/python install --quiet --no-deps --no-index /dist/*.whl

FROM tools AS device-packages
COPY requirements/device.txt requirements/
RUN /opt/tools/bin/pip --python /opt/edge-retina/bin/python install --quiet \
      --require-hashes --only-binary :all: --requirement requirements/device.txt

# TensorFlow's C++ headers (430 MB) only serve to build operators, which nobody does in this image.
FROM tools AS train-packages
COPY requirements/train.txt requirements/
RUN /opt/tools/bin/pip --python /opt/edge-retina/bin/python install --quiet \
      --require-hashes --only-binary :all: --requirement requirements/train.txt \
 && rm -r /opt/edge-retina/lib/python3*/site-packages/tensorflow/include

# The package itself is the last layer: after a change of the code only a few MB are sent anew.
# The health check says that the program starts. It is rare and light, for it runs beside
# benchmarks too; `docker run --no-healthcheck` leaves it out.
FROM base AS device
COPY --from=device-packages /opt/edge-retina /opt/edge-retina
COPY --from=wheel /opt/edge-retina /opt/edge-retina
USER 1000:1000
WORKDIR /work
HEALTHCHECK --interval=10m --timeout=30s --start-period=1m CMD ["edge-retina", "--version"]
ENTRYPOINT ["edge-retina"]
CMD ["--help"]

FROM base AS train
COPY --from=train-packages /opt/edge-retina /opt/edge-retina
COPY --from=wheel /opt/edge-retina /opt/edge-retina
USER 1000:1000
WORKDIR /work
HEALTHCHECK --interval=10m --timeout=30s --start-period=1m CMD ["edge-retina", "--version"]
ENTRYPOINT ["edge-retina"]
CMD ["--help"]
