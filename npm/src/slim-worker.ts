import { makeHandlers } from "./host-slim.js";
import { serve } from "./worker-main.js";

serve(makeHandlers);
