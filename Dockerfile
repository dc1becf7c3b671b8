# jukectl in a container, for CPUs:
#
#     docker build -t jukectl .
#     docker run --rm -v "$PWD:/music" -v jukectl-models:/models jukectl continue riff.wav --genre Game
#
# For NVIDIA GPUs, with the CUDA version of the driver, and then with `docker run --gpus all`:
#
#     docker build --build-arg TORCH_BACKEND=cu130 -t jukectl .

FROM python:3.13-slim AS build
ARG TORCH_BACKEND=cpu
ENV UV_TOOL_DIR=/opt UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy JUKECTL_NATIVE=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv
COPY . /source
WORKDIR /source
RUN uv tool install --no-cache --torch-backend "$TORCH_BACKEND" .

FROM python:3.13-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -m 1777 /music /models
COPY --from=build /opt/jukectl /opt/jukectl
# numba and matplotlib keep caches in the home folder, which a user given by --user does not have
ENV PATH=/opt/jukectl/bin:$PATH HOME=/tmp HF_HOME=/models
USER 1000:1000
WORKDIR /music
ENTRYPOINT ["jukectl"]
CMD ["--help"]
