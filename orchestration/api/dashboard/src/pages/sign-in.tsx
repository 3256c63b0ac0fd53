import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { signIn } from "../api.ts";
import { Page } from "../ui/bits.tsx";

export function SignIn(): JSX.Element {
  const [problem, setProblem] = useState("");
  return (
    <Page title="Sign in">
      <form
        class="card narrow"
        onSubmit={(event) => {
          event.preventDefault();
          const token = new FormData(event.currentTarget).get("token");
          signIn(typeof token === "string" ? token : "").catch((error: unknown) => setProblem((error as Error).message));
        }}
      >
        <p>This centre asks readers for a token. It is exchanged for a cookie once; this page does not keep it.</p>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="off" required aria-describedby="token-hint token-problem" />
        <p id="token-hint" class="muted">
          Made where the centre runs: <code>./buslab token create --role read --name me</code>
        </p>
        <p id="token-problem" class="because" role="alert">
          {problem}
        </p>
        <button type="submit">Sign in</button>
      </form>
    </Page>
  );
}
