import { VidsieveError } from "../data/errors.js";
import type { Context, Handlers, Methods } from "../engine/methods.js";

type AnyHandler = (args: unknown, context: Context<unknown>) => Promise<unknown>;

/** The implementation of a method. */
export function handlerOf(handlers: Handlers, method: string): AnyHandler {
  const found = Object.hasOwn(handlers, method) ? handlers[method as keyof Methods] : undefined;
  if (!found) throw new VidsieveError("unsupported", `this entry of the package cannot ${method}: import \`vidsieve\` instead`);
  return found as unknown as AnyHandler;
}
