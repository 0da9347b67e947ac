// A menu for each column of a table of class "filterable" that has few different values.
// Without this script the table is there as a whole.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.filterable")) {
    const rows = [...table.tBodies[0].rows];
    const text = (row, column) => row.cells[column].textContent.trim();
    const bar = document.createElement("div"), menus = [];
    const count = document.createElement("output");
    bar.className = "filters";
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const values = [...new Set(rows.map((row) => text(row, column)))].sort();
      if (values.length < 2 || values.length > 5) return;
      const label = document.createElement("label"), menu = document.createElement("select");
      for (const value of ["any value", ...values]) menu.add(new Option(value));
      menu.addEventListener("change", show);
      label.append(head.textContent.trim(), menu);
      bar.append(label);
      menus.push([column, menu]);
    });
    function show() {
      for (const row of rows) {
        row.hidden = menus.some(
          ([column, menu]) => menu.selectedIndex && menu.value !== text(row, column));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    }
    bar.append(count);
    (table.closest(".pst-scrollable-table-container") || table).before(bar);
    show();
  }
});
