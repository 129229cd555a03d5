# Two images of one executable: `docker build --target processor .` and `--target api`. Builds for publication set the labels:
# `--build-arg VERSION=… --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE=… --build-arg CREATED=…` (RFC 3339, the time of the commit).
# The dependencies are a separate layer, so that a change of this workspace does not rebuild them.
#
# A release pins both base images by digest, so that a build of the same commit has the same base:
# `--build-arg RUST_IMAGE=rust:1.95-bookworm@sha256:…` and `--build-arg BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:…`. Print the
# current digests with `docker buildx imagetools inspect rust:1.95-bookworm`. Without them, the tags are used.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot
# The stage below, or an image that has the executable in /out: `packaging/images.sh EXECUTABLE` passes one.
ARG BUILDER=builder

FROM ${RUST_IMAGE} AS chef
WORKDIR /build
RUN cargo install cargo-chef --locked --version 0.1.77

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
# `dist`, or another profile of Cargo.toml: `dev` builds in half the time.
ARG PROFILE=dist
COPY --from=planner /build/recipe.json recipe.json
RUN cargo chef cook --profile "$PROFILE" --package datalake --recipe-path recipe.json
COPY . .
RUN cargo build --locked --profile "$PROFILE" --package datalake \
    && install -D --strip target/*/datalake /out/usr/local/bin/datalake

FROM ${BUILDER} AS executable

# No shell, no package manager, user 65532.
FROM ${BASE_IMAGE} AS base
COPY LICENSE THIRD-PARTY-NOTICES /usr/share/doc/datalake/
COPY --from=executable /out/ /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/datalake"]
ARG BASE_IMAGE
# packaging/notices.py checks the licenses, which are those of THIRD-PARTY-NOTICES.
LABEL org.opencontainers.image.base.name="$BASE_IMAGE" \
      org.opencontainers.image.licenses="MIT AND 0BSD AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND BSL-1.0 AND GPL-2.0-only AND GPL-2.0-or-later AND GPL-3.0-or-later WITH GCC-exception-3.1 AND ISC AND LGPL-2.1-or-later AND MPL-2.0 AND Unicode-3.0 AND Unlicense AND Zlib"
# Labels that change with each commit come last, so that all other layers are cached.
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.created="$CREATED"

FROM base AS processor
LABEL org.opencontainers.image.title="datalake-processor" \
      org.opencontainers.image.description="Turns one CSV and one image per user in a bucket into a table."
CMD ["process"]

FROM base AS api
LABEL org.opencontainers.image.title="datalake-api" \
      org.opencontainers.image.description="Serves the users table over HTTP and starts runs."
EXPOSE 8080
ENV DATALAKE_LISTEN=0.0.0.0:8080
# Returns freed memory to the kernel after 2 ms instead of 1 s, which halves the memory of 1,000,000 rows (bench/README.md).
ENV MIMALLOC_PURGE_DELAY=2
CMD ["serve"]
