import { makeHandlers } from "../engine/host-slim.js";
import { serve } from "./serve.js";

serve(makeHandlers);
