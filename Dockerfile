# One image for workers, Flower and the command line.

FROM python:3.13-slim AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock ./
# What is not exactly what was locked is not installed; CONTRIBUTING.md says how the file is made.
RUN python -m venv /opt/mailer && /opt/mailer/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY mailer ./mailer
RUN /opt/mailer/bin/pip install --no-deps .

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home --home-dir /srv/mailer --shell /usr/sbin/nologin mailer
# A volume takes over the owner of the folder that it is mounted on.
RUN install -d -o 10001 -g 10001 /srv/flower
COPY --from=build /opt/mailer /opt/mailer
ENV PATH=/opt/mailer/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv/mailer
COPY --chown=mailer:mailer templates ./templates
COPY --chown=mailer:mailer celeryconfig.py ./
USER mailer
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "mailer", "worker", "--loglevel", "INFO"]
