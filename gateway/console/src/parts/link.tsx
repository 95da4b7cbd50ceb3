import type { MouseEvent, ReactElement, ReactNode } from "react";
import { navigate } from "../router.ts";

interface LinkProps {
  readonly to: string;
  readonly children: ReactNode;
  readonly className?: string;
  readonly isCurrent?: boolean;
  readonly title?: string;
}

/** A link within the console: a real address, opened without loading the page again. */
export function Link({ to, children, className, isCurrent = false, title }: LinkProps): ReactElement {
  const follow = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} onClick={follow} className={className} title={title} aria-current={isCurrent ? "page" : undefined}>
      {children}
    </a>
  );
}
