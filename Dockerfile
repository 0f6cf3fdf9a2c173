# CPU:  docker build -t osmn .
# GPU:  docker build -t osmn-gpu --build-arg EXTRAS=gpu .
#
#   docker run --rm -v "$PWD:/data" osmn \
#       segment --video=clip.mp4 --mask=first.png --out=masks
#   docker run --rm --gpus all -v "$PWD:/data" osmn-gpu ...
FROM python:3.12-slim

# Extras of pyproject.toml, separated by commas: gpu, crf, export, jax, ...
ARG EXTRAS=""

RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml setup.py README.md LICENSE /source/
COPY osmn_recurrent /source/osmn_recurrent
COPY checkpoints_tools /source/checkpoints_tools
RUN pip install --no-cache-dir "/source${EXTRAS:+[$EXTRAS]}" && rm -rf /source

WORKDIR /data
ENTRYPOINT ["osmn"]
CMD ["--help"]
