# unblur as an image: dependencies as requirements.lock pins them, no compiler, no secret, no root.
#
#   docker build -t unblur:cpu --build-arg TORCH_INDEX=ADDRESS .                                CPU build of torch
#   docker build -t unblur:cuda --build-arg TORCH_VARIANT=cuda .                                CUDA build
#   docker run --rm -v "$PWD:/workspace" --user "$(id -u):$(id -g)" unblur:cpu restore IN OUT --model FILE
#   ops/compose.yaml                                                                            server and registry
#
# TORCH_INDEX is the index with the wanted build of torch; empty takes pip's own. An index that needs a password, or a
# mirror for everything, comes as a secret, which no layer keeps: --secret id=pip,src=pip.conf
# The base image is pinned by version; pin it by digest where an image has to be rebuilt bit for bit.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_VARIANT=cpu
ARG TORCH_INDEX=""
ENV PIP_CACHE_DIR=/var/cache/pip \
    PIP_CONFIG_FILE=/run/secrets/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CONSTRAINT=/src/requirements.lock \
    PIP_BUILD_CONSTRAINT=/src/requirements.lock \
    PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/unblur
ENV PATH=/opt/unblur/bin:$PATH
WORKDIR /src

# torch first and by itself: the largest layer, and the only one that the two build arguments change. Without its
# dependencies, which the index of a torch build need not have in the versions of the lock; they come with the rest.
# The versions are in PIP_CONSTRAINT, and pip's cache is a mount that no layer keeps: hadolint sees neither.
COPY requirements.lock ./
# hadolint ignore=DL3013,DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=secret,id=pip \
    case "$TORCH_VARIANT" in cpu|cuda) ;; *) echo "TORCH_VARIANT=$TORCH_VARIANT: expected cpu or cuda" >&2; exit 1 ;; esac \
    && python -m pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch

# Then the other dependencies, again without the source, so that an edit of the source installs nothing anew.
COPY pyproject.toml ./
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=secret,id=pip \
    python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
               extras = [p['optional-dependencies'][e] for e in ('codecs', 'openvino', 'video', 'train', 'serve', 'otel', 'sign', 'mlflow-server')]; \
               print(*(r for e in (p['dependencies'], *extras) for r in e if not r.startswith('unblur[')), sep='\n')" \
        > dependencies.txt \
    && python -m pip install --requirement dependencies.txt

# A CUDA build also runs on CPUs, only far larger; a CPU build cannot do what a CUDA image is for.
RUN built="$(python -c 'import torch; print("cuda" if torch.version.cuda else "cpu")')" \
    && echo "torch: a $built build" \
    && if [ "$built" != "$TORCH_VARIANT" ]; then \
         echo "TORCH_VARIANT=$TORCH_VARIANT, but the index offered a $built build: name another one in TORCH_INDEX" >&2; \
         [ "$TORCH_VARIANT" = cpu ]; \
       fi

COPY README.md LICENSE ./
COPY conf ./conf
COPY src ./src
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=secret,id=pip \
    python -m pip install --no-deps . \
    && unblur --version


FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="unblur" \
      org.opencontainers.image.description="Train, compress, ship and serve models that take blur out of photographs, bursts and video" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

# git: DVC and the lineage of a model read the repository that is mounted at /workspace, whoever owns it.
# Its version is the base image's Debian's, which keeps only the one with the current security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /workspace \
    && groupadd --gid 10001 unblur \
    && useradd --uid 10001 --gid unblur --create-home --shell /usr/sbin/nologin unblur \
    && install --directory --owner=unblur --group=unblur /workspace

COPY --from=build /opt/unblur /opt/unblur

# HOME belongs to nobody in particular when `docker run --user` names another user, hence a place for small caches.
ENV PATH=/opt/unblur/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/var/tmp/matplotlib \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    DVC_NO_ANALYTICS=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NO_ALBUMENTATIONS_UPDATE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

WORKDIR /workspace
# By number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001

# Most commands run to their end, and their exit code tells how it went. What probes a server stands in ops/.
HEALTHCHECK NONE
# As process 1, Python ignores SIGTERM but turns SIGINT into an orderly end.
STOPSIGNAL SIGINT
ENTRYPOINT ["unblur"]
CMD ["--help"]
