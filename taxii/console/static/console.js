// Pages are complete without this script. It says each time in the reader's own zone, adds a
// button to each value that the page shows in a changed form, and asks the browser for passkeys.
"use strict";

// Browsers show a page that they kept when the reader goes back, though the session may have
// ended since. It is hidden while they keep it, and then asked for again.
addEventListener("pagehide", () => { document.documentElement.hidden = true; });
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });

for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
}

// Browsers have a clipboard only on pages that came over TLS or the loopback interface.
if (navigator.clipboard) {
  for (const value of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    const say = text => {
      button.textContent = text;
      button.setAttribute("aria-label", text + " " + value.textContent.slice(0, 80));
    };
    button.type = "button";
    button.className = "plain copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(value.dataset.copy);
      say("Copied");
      setTimeout(say, 2000, "Copy");
    });
    say("Copy");
    (value.closest("pre") ?? value).after(" ", button);
  }
}

// A form with data-passkey makes a passkey, or gives one, before it is sent. It is hidden in
// browsers that know none.
if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async event => {
      event.preventDefault();
      const asked = JSON.parse(form.dataset.asked);
      try {
        const credential = form.dataset.passkey === "create"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
        form.elements.credential.value = JSON.stringify(credential.toJSON());
        form.submit();
      } catch {
        form.querySelector("[role=alert]").textContent = "The browser gave no passkey. Try again.";
      }
    });
  }
}
