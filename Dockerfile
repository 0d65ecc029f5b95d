# The image is one static binary, run by nobody in particular on a read-only root:
#   docker run --read-only --cap-drop ALL --cap-add NET_BIND_SERVICE \
#     -v /etc/detour:/etc/detour:ro -v detour-state:/var/lib/detour IMAGE
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The file capability lets a user other than root listen on port 53.
RUN apt-get update -q && apt-get install -qy --no-install-recommends libcap2-bin ca-certificates \
 && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/resolver ./cmd/resolver \
 && setcap cap_net_bind_service=+ep /out/resolver \
 && mkdir -p /out/state /out/run

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/resolver /resolver
COPY --from=build --chown=65532:65532 /out/state /var/lib/detour
COPY --from=build --chown=65532:65532 /out/run /run/detour
USER 65532:65532
ENV STATE_DIRECTORY=/var/lib/detour
EXPOSE 53/udp 53/tcp
VOLUME ["/var/lib/detour", "/run/detour"]
ENTRYPOINT ["/resolver"]
CMD ["serve", "--config", "/etc/detour/Corefile"]
