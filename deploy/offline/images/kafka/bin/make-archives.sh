#!/bin/bash
# At build: runs the set-up and the broker once, and keeps what they loaded in archives.
set -euo pipefail
config=/opt/kafka/config
cp /etc/kafka/docker/*.yaml "$config/"
export CLUSTER_ID=5L6g3nShT-eMCtK--X86sw
KAFKA_JVM_PERFORMANCE_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ArchiveClassesAtExit=/opt/kafka/storage.jsa" \
  /opt/kafka/bin/kafka-run-class.sh kafka.docker.KafkaDockerWrapper setup -D /etc/kafka/docker -M /mnt/shared/config -F "$config"
KAFKA_JVM_PERFORMANCE_OPTS="-server -XX:+UseG1GC -XX:ArchiveClassesAtExit=/opt/kafka/kafka.jsa" \
  /opt/kafka/bin/kafka-server-start.sh "$config/server.properties" >/tmp/server.log 2>&1 &
broker=$!
for ((i = 0; i < 240; i++)); do
  grep -q 'Kafka Server started' /tmp/server.log && break
  sleep 0.5
done
kill -TERM "$broker"
# The broker ends with 143, as its signal says.
wait "$broker" || [ $? -eq 143 ]
rm -rf /tmp/kraft-combined-logs /tmp/server.log "${config:?}"/*
ls -l /opt/kafka/*.jsa
