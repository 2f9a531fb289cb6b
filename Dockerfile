# By tag unless PYTHON_IMAGE names a digest: see "Pinning images" in docs/operations.md.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.build.lock .
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.build.lock
COPY . .
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

FROM ${PYTHON_IMAGE}
COPY requirements.runtime.lock /tmp/
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.runtime.lock
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-deps --no-index /wheels/*.whl && useradd --system rapport
USER rapport
CMD ["rapport", "worker"]
