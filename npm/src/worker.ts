import { makeHandlers } from "./host-full.js";
import { serve } from "./worker-main.js";

serve(makeHandlers);
