package dev.millrace.calculator;

/**
 * What a calculation may know beside its message.
 *
 * @param at time of the step in ms since 1970: the same again in a replay, unlike the machine's clock
 */
public record Context(double at, String graph, String node) {}
