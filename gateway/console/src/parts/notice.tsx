import type { ReactElement, ReactNode } from "react";
import type { RequestFailure } from "../api.ts";

export function Failure({ failure }: { readonly failure: RequestFailure }): ReactElement {
  return (
    <div className="notice notice-bad" role="alert">
      <strong>{failure.code}</strong> {failure.message}
      {failure.remedy !== "" && <p>{failure.remedy}</p>}
    </div>
  );
}

/** A page or panel without content says what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactElement {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}
