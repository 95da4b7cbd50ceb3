/** MQTT: topics. Every export is listed by name. */
export { type MqttOptions, mqttFeed, mqttSink } from "./mqtt-connectors.ts";
