import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import './theme.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { enter } from './api/login'
import { App } from './app'
import { expect } from './pages'

expect(location.pathname)

// The ticket goes before anything is drawn, so that nothing else sees it and it is traded once.
const refused = await enter()
const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App refused={refused} />
    </StrictMode>,
  )
}
