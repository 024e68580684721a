// Around the module of a Worker in Rust: makes its instance, and another one after a crash.
//
// The modules are built with `panic = "abort"`: a panic leaves its instance unusable. Who calls next gets a new one; Durable Objects are
// made again in it and read their state from their databases.

/** Calls into a module; `bindings` is what wasm-bindgen made of it. */
export function guard(bindings, module) {
  let instances = 0;
  let crashed = true;

  function ready() {
    if (crashed) {
      if (instances === 0) bindings.initSync({ module });
      else bindings.__wbg_reset_state();
      crashed = false;
      instances += 1;
    }
    return instances;
  }

  return {
    /** The number of the instance that calls go to. */
    ready,
    /** Runs a call; notes if it crashed. */
    async call(work) {
      ready();
      try {
        return await work();
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) crashed = true;
        throw error;
      }
    },
  };
}
