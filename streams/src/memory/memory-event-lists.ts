import { type EventList, type EventLists, eventFilter, listFilter, type RecordedEvent } from "@millrace/engine";

/** Numbers of events in lists, by looking at every event. `mustBeOpen` throws LOG-CLOSED. */
export function memoryEventLists(events: readonly RecordedEvent[], mustBeOpen: () => void): EventLists {
  const passing = (list: EventList): readonly RecordedEvent[] => {
    mustBeOpen();
    return events.filter(eventFilter(listFilter(list)));
  };
  return {
    countOf: async (list) => passing(list).length,
    positionOf: async (list, number) => passing(list)[number]?.position,
  };
}
