# Copyright 2026 The Opsrelay Authors
# SPDX-License-Identifier: Apache-2.0
#
# The NATS server of the tests, from the module that go.mod names, and a third
# party's subscriber.
FROM scratch
COPY rootfs/ /
VOLUME /data
USER 65532:65532
ENTRYPOINT ["/nats-server", "--config", "/etc/nats/nats.conf"]
