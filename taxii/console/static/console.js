// Pages are complete without this script. It says each time in the reader's own zone, and
// adds a button to each value that the page shows in a changed form.
"use strict";

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
    value.after(" ", button);
  }
}
