package com.example.detector

import android.Manifest
import android.graphics.Bitmap
import android.graphics.Matrix
import android.os.Bundle
import android.os.SystemClock
import android.view.WindowManager
import android.widget.Toast
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.core.content.ContextCompat
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.core.RunningMode
import com.google.mediapipe.tasks.vision.objectdetector.ObjectDetector
import java.util.concurrent.Executors

/** Shows the camera's pictures with the objects found in them. */
class MainActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var view: DetectionView
    private var detector: ObjectDetector? = null

    private val permission =
        registerForActivityResult(ActivityResultContracts.RequestPermission()) { granted ->
            if (granted) start() else finish()
        }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        view = DetectionView(this)
        setContentView(view)
        permission.launch(Manifest.permission.CAMERA)
    }

    override fun onDestroy() {
        super.onDestroy()
        worker.execute { detector?.close() }
        worker.shutdown()
    }

    private fun start() {
        detector = try {
            openDetector()
        } catch (error: RuntimeException) {
            Toast.makeText(this, "The model can't be loaded: ${error.message}", Toast.LENGTH_LONG).show()
            return
        }
        val providers = ProcessCameraProvider.getInstance(this)
        providers.addListener({ bindCamera(providers.get()) }, ContextCompat.getMainExecutor(this))
    }

    private fun openDetector(): ObjectDetector {
        val options = ObjectDetector.ObjectDetectorOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("model.tflite").build())
            .setRunningMode(RunningMode.VIDEO)
            .setScoreThreshold(0.3f)
            .build()
        return ObjectDetector.createFromOptions(this, options)
    }

    private fun bindCamera(provider: ProcessCameraProvider) {
        val analysis = ImageAnalysis.Builder()
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .build()
        analysis.setAnalyzer(worker) { frame -> frame.use(::detect) }
        provider.unbindAll()
        provider.bindToLifecycle(this, CameraSelector.DEFAULT_BACK_CAMERA, analysis)
    }

    private fun detect(frame: ImageProxy) {
        val picture = upright(frame)
        val start = SystemClock.uptimeMillis()
        val image = BitmapImageBuilder(picture).build()
        val found = detector?.detectForVideo(image, start)?.detections() ?: return
        val latencyMs = SystemClock.uptimeMillis() - start
        view.post { view.show(picture, found, latencyMs) }
    }

    /** Turns the picture as the phone is held: the detector was trained on upright ones. */
    private fun upright(frame: ImageProxy): Bitmap {
        val picture = frame.toBitmap()
        val turn = Matrix().apply { postRotate(frame.imageInfo.rotationDegrees.toFloat()) }
        return Bitmap.createBitmap(picture, 0, 0, picture.width, picture.height, turn, true)
    }
}
