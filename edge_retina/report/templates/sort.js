// A click on a heading of a sortable table sorts its rows; another click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent.trim();
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [parseFloat(key(one)), parseFloat(key(other))];
        if (isNaN(a) !== isNaN(b)) return isNaN(a) ? 1 : -1; // what has no number stays last
        const order = isNaN(a) ? key(one).localeCompare(key(other)) : a - b;
        return falling ? -order : order;
      });
      body.append(...rows);
    });
  });
}
