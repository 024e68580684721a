import { VidsieveError } from "../data/errors.js";
import type { Context, Handlers, Methods } from "../engine/methods.js";

type AnyHandler = (args: unknown, context: Context<unknown>) => Promise<unknown>;

/** Returns the implementation of a method; fails with `unsupported` if the host lacks it. */
export function handlerOf(handlers: Handlers, method: string): AnyHandler {
  const found = Object.hasOwn(handlers, method) ? handlers[method as keyof Methods] : undefined;
  if (!found)
    throw new VidsieveError("unsupported", `this entry of the package lacks ${method}: import \`vidsieve\` instead`);
  return found as unknown as AnyHandler;
}
