#!/bin/bash
# At build: the usual tools, each a script of its own as in Kafka's distribution.
set -euo pipefail
tools=org.apache.kafka.tools
while read -r name class; do
  printf '#!/bin/bash\nexec /opt/kafka/bin/kafka-run-class.sh %s "$@"\n' "$class" >"/opt/kafka/bin/$name.sh"
  chmod 755 "/opt/kafka/bin/$name.sh"
done <<LIST
kafka-topics $tools.TopicCommand
kafka-storage kafka.tools.StorageTool
kafka-configs kafka.admin.ConfigCommand
kafka-consumer-groups $tools.consumer.group.ConsumerGroupCommand
kafka-console-producer $tools.ConsoleProducer
kafka-console-consumer $tools.consumer.ConsoleConsumer
kafka-broker-api-versions $tools.BrokerApiVersionsCommand
kafka-get-offsets $tools.GetOffsetShell
kafka-log-dirs $tools.LogDirsCommand
kafka-metadata-quorum $tools.MetadataQuorumCommand
LIST
