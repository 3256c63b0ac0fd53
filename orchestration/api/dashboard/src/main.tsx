import { render } from "preact";
import { loadSession } from "./api.ts";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";
import { startShortcuts } from "./shortcuts.ts";
import { startTheme } from "./theme.ts";

startTheme();
startRouter();
startShortcuts();
void loadSession();
render(<App />, document.getElementById("app") ?? document.body);
