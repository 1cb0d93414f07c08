# The gateway with its data in /data; docs/install.md says how it is run.

FROM python:3.12-slim AS built
WORKDIR /src
RUN python -m venv /opt/bulonera
ENV PATH=/opt/bulonera/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/ requirements/
# With every extra, all in the versions that the tests run on.
RUN pip install --require-hashes -r requirements/container.txt
COPY pyproject.toml ./
COPY bulonera_sync/ bulonera_sync/
# What builds the package stays out of the venv that is shipped.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt \
    && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip install --no-deps /wheels/*.whl

FROM python:3.12-slim
# A fixed number: who owns a folder that is brought from outside can be said.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin bulonera \
    && install --directory --owner bulonera --group bulonera --mode 0700 /data
COPY --from=built /opt/bulonera /opt/bulonera
COPY docker/health.py /opt/bulonera/health.py
ENV PATH=/opt/bulonera/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    BULONERA_SERVER__HOST=0.0.0.0 \
    BULONERA_SERVER__TLS_FOLDER=/data/tls \
    BULONERA_STORE__URL=sqlite:////data/bulonera-sync.db \
    BULONERA_LOG__FILE=/data/logs/sync.log
USER bulonera
WORKDIR /data
VOLUME /data
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "/opt/bulonera/health.py"]
ENTRYPOINT ["bulonera-sync"]
CMD ["serve"]
