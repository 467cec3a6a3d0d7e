import MediaPipeTasksVision
import UIKit

/// An object in a picture; the box is in fractions of the picture's sides.
struct FoundObject: Identifiable {
    let id = UUID()
    let label: String
    let score: Float
    let box: CGRect
}

/// The exported file in MediaPipe Tasks; labels, normalisation and NMS are inside it.
final class Detector {
    private let detector: ObjectDetector

    init() throws {
        guard let path = Bundle.main.path(forResource: "model", ofType: "tflite") else {
            throw CocoaError(.fileNoSuchFile)
        }
        let options = ObjectDetectorOptions()
        options.baseOptions.modelAssetPath = path
        options.runningMode = .image
        options.scoreThreshold = 0.3
        detector = try ObjectDetector(options: options)
    }

    func objects(in picture: UIImage) throws -> [FoundObject] {
        let size = picture.size
        let result = try detector.detect(image: MPImage(uiImage: picture))
        return result.detections.compactMap { detection in
            guard let category = detection.categories.first else { return nil }
            let box = detection.boundingBox
            return FoundObject(
                label: category.categoryName ?? "",
                score: category.score,
                box: CGRect(
                    x: box.minX / size.width, y: box.minY / size.height,
                    width: box.width / size.width, height: box.height / size.height))
        }
    }
}

extension UIImage {
    /// The picture with its orientation carried out, one pixel a point.
    func upright() -> UIImage {
        let format = UIGraphicsImageRendererFormat()
        format.scale = 1
        return UIGraphicsImageRenderer(size: size, format: format).image { _ in
            draw(in: CGRect(origin: .zero, size: size))
        }
    }
}
