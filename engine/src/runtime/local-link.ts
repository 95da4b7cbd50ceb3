import type { Link, OriginControl } from "../actor/link.ts";
import type { Anchor } from "../frame/anchor.ts";
import type { Frame } from "../frame/frame.ts";
import type { Point } from "../frame/point.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";

/** An edge within a host: the receiver's mailbox. */
export class LocalLink implements Link {
  readonly #mailbox: Mailbox;

  constructor(mailbox: Mailbox) {
    this.#mailbox = mailbox;
  }

  hasCredit(path: number): boolean {
    return this.#mailbox.hasCredit(path);
  }

  whenCredit(path: number, wake: () => void): void {
    this.#mailbox.whenCredit(path, wake);
  }

  send(frame: Frame): void {
    this.#mailbox.push(frame);
  }
}

/** Where an origin's control messages go: the incarnation of the moment. Between incarnations they are lost, which is harmless. */
export class OriginAddress implements OriginControl {
  target: OriginControl | undefined;

  acknowledge(path: number, cursor: Point, anchor: Anchor): void {
    this.target?.acknowledge(path, cursor, anchor);
  }

  resume(path: number, cursor: Point, anchor: Anchor): void {
    this.target?.resume(path, cursor, anchor);
  }
}
