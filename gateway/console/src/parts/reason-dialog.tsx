import { type FormEvent, type ReactElement, useEffect, useRef, useState } from "react";
import { RequestFailure, setToken } from "../api.ts";
import { Failure } from "./notice.tsx";

interface ReasonDialogProps {
  readonly title: string;
  readonly effect: string;
  readonly verb: string;
  readonly run: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

/** Every change asks why; the answer becomes part of the event. A server with a token asks for that, too, once for a page. */
export function ReasonDialog({ title, effect, verb, run, onClose }: ReasonDialogProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<RequestFailure>();
  const [isRunning, setIsRunning] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const reason = String(fields.get("reason") ?? "").trim();
    const token = fields.get("token");
    if (typeof token === "string") setToken(token.trim());
    setIsRunning(true);
    run(reason).then(onClose, (thrown: unknown) => {
      setIsRunning(false);
      setFailure(thrown instanceof RequestFailure ? thrown : new RequestFailure("UNEXPECTED", String(thrown), ""));
    });
  };
  return (
    <dialog ref={dialog} onClose={onClose} className="dialog" aria-labelledby="reason-title">
      <form onSubmit={submit}>
        <h2 id="reason-title">{title}</h2>
        <p>{effect}</p>
        <label>
          Why
          <input name="reason" required maxLength={500} autoComplete="off" placeholder="It becomes part of the event" />
        </label>
        {failure && <Failure failure={failure} />}
        {failure?.code === "HTTP-UNAUTHORIZED" && (
          <label>
            Token
            <input
              name="token"
              type="password"
              required
              autoComplete="off"
              placeholder="MILLRACE_TOKEN of the server"
            />
          </label>
        )}
        <div className="dialog-buttons">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button button-primary" disabled={isRunning}>
            {verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
