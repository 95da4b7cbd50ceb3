import type { Channel } from "amqplib";

/** Whether a channel still takes acknowledgements, and why not. */
export class ChannelWatch {
  readonly channel: Channel;
  /** Rejects when the channel has failed, or {@link fail} was called. */
  readonly failed: Promise<never>;
  fail: (reason: Error) => void = () => undefined;
  isOpen = true;

  constructor(channel: Channel) {
    this.channel = channel;
    this.failed = new Promise((_, reject) => {
      this.fail = (reason) => {
        this.isOpen = false;
        reject(reason);
      };
    });
    // Of a channel that fails while it is set up, the call that failed says so.
    this.failed.catch(() => undefined);
    channel.on("error", (error) => this.fail(error));
    // Without an error before, the connection ends with it.
    channel.on("close", () => {
      this.isOpen = false;
    });
  }
}
