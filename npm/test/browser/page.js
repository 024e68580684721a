// What the page of the tests runs: the package, bundled as an application would.
import * as vidsieve from "vidsieve";
import * as slim from "vidsieve/slim";

Object.assign(window, { vidsieve, slim });
