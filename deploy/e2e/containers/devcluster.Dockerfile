# Copyright 2026 The Opsrelay Authors
# SPDX-License-Identifier: Apache-2.0
#
# The development cluster, and the program that makes the control of its storage
# driver, which listens at the loopback address, reachable from outside.
FROM scratch
COPY rootfs/ /
VOLUME /data
USER 65532:65532
ENTRYPOINT ["/devcluster", "--data-dir=/data", "--audit-log=/data/audit.log", "--unsafe-no-fsync", \
            "--bind-address=0.0.0.0", "--port=6443", "--san=cluster"]
