/// A report as one HTML file that needs nothing else, and no script; well-formed as XML too.
package enum Page {
    /// - Parameters:
    ///   - title: of the window.
    ///   - body: sections, as markup.
    ///   - footer: a sentence or two, as text.
    package static func html(title: String, heading: String, subtitle: String, body: String, footer: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <title>\(Markup.escaped(title))</title>
        <style>
        \(PageStyle.css)
        </style>
        </head>
        <body>
        <main>
        <header><h1>\(Markup.escaped(heading))</h1>
        <p>\(Markup.escaped(subtitle))</p></header>
        \(body)<footer>\(Markup.escaped(footer))</footer>
        </main>
        </body>
        </html>

        """
    }

    /// The figures that somebody looks for first.
    package static func tiles(_ tiles: [(value: String, name: String, isBad: Bool)]) -> String {
        let text = tiles.map { tile in
            "<div class=\"tile\(tile.isBad ? " bad" : "")\"><b>\(Markup.escaped(tile.value))</b>"
                + "<span>\(Markup.escaped(tile.name))</span></div>\n"
        }
        return "<div class=\"tiles\">\n\(text.joined())</div>\n"
    }
}
