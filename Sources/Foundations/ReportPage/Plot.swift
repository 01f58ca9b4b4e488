/// A drawing of fixed size with two axes, as SVG text that takes its colours from the page's style.
package struct Plot {
    package static let left = 68.0
    package static let right = 18.0
    package static let top = 26.0
    package static let bottom = 30.0

    private static let titleHeight = 20.0
    /// Of most letters, at most.
    private static let letterWidth = 6.6

    package let width: Double
    package let height: Double
    package let plotTop: Double
    private let titleRoom: Double
    private var content = ""

    /// - Parameter hasAxisTitles: whether room is left for ``addAxisTitles(horizontal:vertical:)``.
    package init(width: Double, height: Double, top: Double = Plot.top, hasAxisTitles: Bool = false) {
        self.width = width
        self.height = height
        plotTop = top
        titleRoom = hasAxisTitles ? Self.titleHeight : 0
    }

    package var plotLeft: Double { Self.left + titleRoom }
    package var plotRight: Double { width - Self.right }
    package var plotBottom: Double { height - Self.bottom - titleRoom }

    /// - Parameter description: for those who cannot see it.
    package func svg(_ description: String) -> String {
        "<svg viewBox=\"0 0 \(Self.pixel(width)) \(Self.pixel(height))\" role=\"img\">"
            + "<title>\(Markup.escaped(description))</title>\n\(content)</svg>\n"
    }

    /// With one decimal.
    package static func pixel(_ value: Double) -> String { DecimalText.fixed(value, 1) }

    // MARK: Axes

    package mutating func addVerticalAxis(_ scale: PlotScale, label: (Double) -> String) {
        for tick in scale.ticks {
            let y = Self.pixel(scale.position(tick.value))
            content += "<path class=\"grid\" d=\"M\(Self.pixel(plotLeft)) \(y)H\(Self.pixel(plotRight))\"/>"
            if tick.hasLabel {
                addText(label(tick.value), x: plotLeft - 8, y: scale.position(tick.value) + 4, "tick end")
            }
        }
        content += "\n"
    }

    package mutating func addHorizontalAxis(_ scale: PlotScale, withGrid: Bool = false, label: (Double) -> String) {
        for tick in scale.ticks {
            let x = scale.position(tick.value)
            if withGrid {
                content +=
                    "<path class=\"grid\" d=\"M\(Self.pixel(x)) \(Self.pixel(plotTop))V\(Self.pixel(plotBottom))\"/>"
            }
            guard tick.hasLabel else { continue }
            let text = label(tick.value)
            // The last one may be longer than there is room for beside the plot.
            let isCut = x + Double(text.count) * Self.letterWidth / 2 > width
            addText(text, x: isCut ? width - 2 : x, y: plotBottom + 18, isCut ? "tick end" : "tick middle")
        }
        content +=
            "<path class=\"axis\" d=\"M\(Self.pixel(plotLeft)) \(Self.pixel(plotBottom))"
            + "H\(Self.pixel(plotRight))\"/>\n"
    }

    /// What the axes are of: below the one, beside the other.
    package mutating func addAxisTitles(horizontal: String, vertical: String) {
        addText(horizontal, x: (plotLeft + plotRight) / 2, y: height - 8, "title middle")
        let (x, y) = (Self.pixel(14), Self.pixel((plotTop + plotBottom) / 2))
        content +=
            "<text class=\"title middle\" transform=\"rotate(-90 \(x) \(y))\" x=\"\(x)\" y=\"\(y)\">"
            + "\(Markup.escaped(vertical))</text>\n"
    }

    // MARK: Marks

    package mutating func addText(_ text: String, x: Double, y: Double, _ style: String) {
        content +=
            "<text class=\"\(style)\" x=\"\(Self.pixel(x))\" y=\"\(Self.pixel(y))\">\(Markup.escaped(text))</text>"
    }

    /// A name beside a vertical line, on its left where there is no room on its right.
    package mutating func addMark(_ text: String, x: Double, y: Double, _ style: String = "mark") {
        let isCut = x + 4 + Double(text.count) * Self.letterWidth > width
        addText(text, x: isCut ? x - 4 : x + 4, y: y, isCut ? style + " end" : style)
    }

    package mutating func addRectangle(
        from left: Double,
        to right: Double,
        top: Double,
        bottom: Double,
        _ style: String
    ) {
        guard right > left, bottom > top else { return }
        content +=
            "<rect class=\"\(style)\" x=\"\(Self.pixel(left))\" y=\"\(Self.pixel(top))\" "
            + "width=\"\(Self.pixel(right - left))\" height=\"\(Self.pixel(bottom - top))\"/>"
    }

    /// A line through the points; nil is a gap.
    package mutating func addLine(_ points: [(x: Double, y: Double)?], _ style: String) {
        var path = ""
        var isOpen = false
        for point in points {
            guard let point else {
                isOpen = false
                continue
            }
            path += "\(isOpen ? "L" : "M")\(Self.pixel(point.x)) \(Self.pixel(point.y))"
            // A point alone shows as a dot.
            if !isOpen { path += "h0.1" }
            isOpen = true
        }
        if !path.isEmpty { content += "<path class=\"line \(style)\" d=\"\(path)\"/>\n" }
    }

    package mutating func addDot(x: Double, y: Double, _ style: String, tip: String) {
        content +=
            "<circle class=\"\(style)\" cx=\"\(Self.pixel(x))\" cy=\"\(Self.pixel(y))\" r=\"5\">"
            + "<title>\(Markup.escaped(tip))</title></circle>"
    }

    /// An area that tells something when it is pointed at.
    package mutating func addTip(from left: Double, to right: Double, _ text: String) {
        content +=
            "<rect class=\"tip\" x=\"\(Self.pixel(left))\" y=\"\(Self.pixel(plotTop))\" "
            + "width=\"\(Self.pixel(right - left))\" height=\"\(Self.pixel(plotBottom - plotTop))\">"
            + "<title>\(Markup.escaped(text))</title></rect>"
    }

    /// Names of lines or areas, in rows above the plot.
    package mutating func addLegend(_ entries: [(name: String, style: String)]) {
        var (x, y) = (plotLeft, 6.0)
        for entry in entries {
            let length = 17 + Double(entry.name.count) * Self.letterWidth
            if x + length > width, x > plotLeft { (x, y) = (plotLeft, y + 18) }
            addRectangle(from: x, to: x + 12, top: y, bottom: y + 8, "key \(entry.style)")
            addText(entry.name, x: x + 17, y: y + 8.5, "legend")
            x += length + 18
        }
        content += "\n"
    }
}
