//! The main comparison as a picture: bars in groups, each group with a scale of its own, as SVG
//! that can be read on light and on dark paper.

use std::fmt::Write as _;

use crate::table::{Bar, Row, Table};

const WIDTH: u32 = 800;
const MARGIN: u32 = 16;
/// Where bars begin: left of it stand their labels.
const BARS_AT: u32 = 330;
/// The longest bar; right of it there is room for a number.
const LONGEST: u32 = 390;
const TITLE_HEIGHT: u32 = 44;
const HEADING_HEIGHT: u32 = 38;
const BAR_HEIGHT: u32 = 22;

/// Colours as GitHub has them, so that the picture belongs to the page around it.
const STYLE: &str = "\
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.group { font-size: 14px; font-weight: 600 }
.note { fill: #59636e }
.ours { font-weight: 600 }
rect { fill: #c4ccd4 }
rect.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.note { fill: #9198a1 }
rect { fill: #4a525b }
rect.ours { fill: #4493f8 }
}
";

/// A bar with the number that it stands for.
struct Drawn<'a> {
    bar: &'a Bar,
    value: f64,
}

/// The bars of some tables; none where there are none.
#[must_use]
pub fn draw(tables: &[Table]) -> Option<String> {
    let rows = tables.iter().flat_map(|table| &table.rows);
    let groups = grouped(rows);
    let unit =
        tables.iter().flat_map(|table| &table.rows).find(|row| row.bar.is_some())?.unit.clone();
    if groups.is_empty() {
        return None;
    }
    let bars: u32 = groups.iter().map(|group| count(group)).sum();
    let height = TITLE_HEIGHT + HEADING_HEIGHT * count(&groups) + BAR_HEIGHT * bars + MARGIN;
    let title = format!("The same rows into the same table, {unit}");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"28\">{title}</text>\n"
    );
    let mut top = TITLE_HEIGHT;
    for group in &groups {
        top = draw_group(&mut svg, group, top);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The rows that are bars, by their groups, both in their order.
fn grouped<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Vec<Drawn<'a>>> {
    let mut groups: Vec<Vec<Drawn<'a>>> = Vec::new();
    for row in rows {
        let (Some(bar), Some(value)) = (&row.bar, row.value) else { continue };
        let is_same = |group: &&mut Vec<Drawn<'a>>| group[0].bar.group == bar.group;
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(Drawn { bar, value }),
            None => groups.push(vec![Drawn { bar, value }]),
        }
    }
    groups
}

/// Draws a group below `top`, and gives where the next one begins.
fn draw_group(svg: &mut String, group: &[Drawn<'_>], top: u32) -> u32 {
    let most = group.iter().map(|drawn| drawn.value).fold(f64::MIN_POSITIVE, f64::max);
    let heading = escaped(&group[0].bar.group);
    let y = top + HEADING_HEIGHT - 12;
    // A `String` takes whatever is written.
    let _ = writeln!(svg, "<text class=\"group\" x=\"{MARGIN}\" y=\"{y}\">{heading}</text>");
    let mut top = top + HEADING_HEIGHT;
    for Drawn { bar, value } in group {
        let class = if bar.ours { " class=\"ours\"" } else { "" };
        let width = (value / most * f64::from(LONGEST)).max(1.0);
        let (label, number) = (escaped(&bar.label), short(*value));
        let (text_y, bar_y, bar_height) = (top + 15, top + 3, BAR_HEIGHT - 6);
        let number_x = f64::from(BARS_AT) + width + 6.0;
        let _ = writeln!(
            svg,
            "<text{class} x=\"{}\" y=\"{text_y}\" text-anchor=\"end\">{label}</text>\
             <rect{class} x=\"{BARS_AT}\" y=\"{bar_y}\" width=\"{width:.1}\" \
             height=\"{bar_height}\" rx=\"2\"/>\
             <text class=\"note\" x=\"{number_x:.1}\" y=\"{text_y}\">{number}</text>",
            BARS_AT - 8,
        );
        top += BAR_HEIGHT;
    }
    top
}

/// A number with its thousands or millions as a letter.
fn short(value: f64) -> String {
    let (scaled, letter) = match value {
        large if large >= 999_500.0 => (value / 1e6, " M"),
        middle if middle >= 1000.0 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled {
        _ if letter.is_empty() || scaled >= 99.95 => 0,
        _ if scaled >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{letter}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: &str, label: &str, value: f64) -> Row {
        let bar = Bar { group: group.to_owned(), label: label.to_owned(), ours: label == "ours" };
        Row::new("what", value, "rows/s").with_bar(bar)
    }

    fn drawn(rows: Vec<Row>) -> String {
        let mut table = Table::new("databases");
        table.rows = rows;
        draw(&[table]).unwrap()
    }

    #[test]
    fn numbers_have_three_digits_and_a_letter() {
        let values = [7.0, 950.4, 8_536.0, 43_210.0, 131_000.0, 999_800.0, 2_345_000.0];
        let expected = ["7", "950", "8.54 k", "43.2 k", "131 k", "1.00 M", "2.35 M"];
        assert_eq!(values.map(short), expected);
    }

    #[test]
    fn each_group_has_a_scale_of_its_own() {
        let svg = drawn(vec![row("a", "x", 10.0), row("b", "y", 2.0), row("a", "ours", 5.0)]);
        let lines: Vec<&str> = svg.lines().filter(|line| line.contains("<rect")).collect();
        let widths = [("x", "390.0"), ("ours", "195.0"), ("y", "390.0")];
        for (line, (label, width)) in lines.iter().zip(widths) {
            assert!(line.contains(&format!(">{label}<")), "{line}");
            assert!(line.contains(&format!("width=\"{width}\"")), "{line}");
            assert_eq!(line.contains("<rect class=\"ours\""), label == "ours", "{line}");
        }
    }

    #[test]
    fn it_is_as_high_as_what_is_in_it() {
        let svg = drawn(vec![row("a", "x", 10.0), row("b", "y", 2.0)]);
        let height = TITLE_HEIGHT + 2 * HEADING_HEIGHT + 2 * BAR_HEIGHT + MARGIN;
        assert!(svg.contains(&format!("viewBox=\"0 0 {WIDTH} {height}\"")), "{svg}");
    }

    #[test]
    fn labels_cannot_break_the_picture() {
        let svg = drawn(vec![row("a", "mariadb < file & \"more\"", 1.0)]);
        assert!(svg.contains("mariadb &lt; file &amp; &quot;more&quot;"), "{svg}");
    }

    #[test]
    fn without_bars_there_is_no_picture() {
        let mut table = Table::new("databases");
        table.push(Row::new("what", 1.0, "s"));
        let unmeasured = Bar { group: "a".to_owned(), label: "x".to_owned(), ours: false };
        table.push(Row::missing("what", "rows/s").with_bar(unmeasured));
        assert_eq!(draw(&[table]), None);
    }
}
