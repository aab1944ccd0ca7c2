# One image for every part of Tributary; SERVICE says which one a container is: source, transform, sink, control, apply, load, or
# api (the example API of examples/flights). As a build argument it is the image's default, as a variable the container's choice.
#   docker build --build-arg SERVICE=sink --tag tributary-sink .

# The manifests alone: packages are installed anew when these change, not with every line of code.
FROM node:24-bookworm-slim AS manifests
WORKDIR /manifests
COPY . /source
RUN cd /source && find . -name package.json -exec cp --parents {} /manifests/ \; \
 && cp --parents package-lock.json patches/* scripts/apply-patches.mjs /manifests/
# The ClickHouse server that runs inside a process (600 MB) is for one machine without servers.
RUN npm pkg delete dependencies.chdb dependencies.ffi-rs --workspace @tributary/clickhouse

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY --from=manifests /manifests ./
# `npm ci` refuses a lock file that does not list every platform's binaries; `install --no-save` takes the same versions from it.
# Scripts of packages are not run: the patches are applied by hand, the rest of `prepare` is for development.
RUN --mount=type=cache,target=/root/.npm \
    npm install --no-save --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
 && node scripts/apply-patches.mjs
# What only editors and type checkers read.
RUN find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' -o -name '*.md' \) -delete \
 && find node_modules/@aws-sdk node_modules/@smithy -type d -name dist-es -prune -exec rm -rf {} + \
 && rm -rf node_modules/.bin node_modules/.package-lock.json node_modules/effect/src node_modules/effect/ai-docs

FROM debian:bookworm-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tributary \
 && install -d -o tributary -g tributary /app/.compile-cache /reports
COPY --from=packages /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY libs ./libs
COPY services ./services
COPY examples/flights ./examples/flights
COPY --chmod=755 deploy/image/ /usr/local/bin/
USER tributary
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
# Compiled once here, where the file system may be written to: a service then starts in half the time.
RUN tributary --help >/dev/null
ARG SERVICE=source
ENV SERVICE=$SERVICE TRIBUTARY_HTTP=0.0.0.0:7480
EXPOSE 7480
STOPSIGNAL SIGTERM
# Whoever watches over containers and starts them anew is to do so on /livez; docker-compose.yml waits on /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["healthy", "/livez"]
CMD ["service"]
