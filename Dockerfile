FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY requirements.runtime.lock /tmp/
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.runtime.lock
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-deps /wheels/*.whl && useradd --system rapport
USER rapport
CMD ["rapport", "worker"]
