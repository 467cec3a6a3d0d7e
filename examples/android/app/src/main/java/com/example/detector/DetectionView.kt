package com.example.detector

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.view.View
import com.google.mediapipe.tasks.components.containers.Detection

/** Draws one picture and its boxes, as large as fits. The picture drawn is the one that was analysed. */
class DetectionView(context: Context) : View(context) {
    private var picture: Bitmap? = null
    private var found: List<Detection> = emptyList()
    private var latencyMs = 0L
    private val line = Paint().apply {
        style = Paint.Style.STROKE
        strokeWidth = 3f
        color = Color.YELLOW
    }
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        textSize = 18f
        color = Color.YELLOW
    }

    fun show(picture: Bitmap, found: List<Detection>, latencyMs: Long) {
        this.picture = picture
        this.found = found
        this.latencyMs = latencyMs
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val shown = picture ?: return
        val scale = minOf(width / shown.width.toFloat(), height / shown.height.toFloat())
        canvas.scale(scale, scale)
        canvas.drawBitmap(shown, 0f, 0f, null)
        for (detection in found) {
            val box = detection.boundingBox()
            val category = detection.categories().first()
            canvas.drawRect(box, line)
            val label = "%s %.2f".format(category.categoryName(), category.score())
            canvas.drawText(label, box.left, maxOf(box.top - 4, text.textSize), text)
        }
        canvas.drawText("${found.size} objects, $latencyMs ms", 8f, shown.height - 8f, text)
    }
}
