import { MantineProvider } from '@mantine/core'
import { ModalsProvider } from '@mantine/modals'
import { Notifications } from '@mantine/notifications'
import { Redirect, Route, Switch, useLocation } from 'wouter'
import type { ApiError } from './api/error'
import { Live } from './api/live'
import { loginPath, useToken } from './api/session'
import { Boundary } from './layout/boundary'
import { Missing } from './layout/missing'
import { Shell } from './layout/shell'
import { Waiting } from './layout/waiting'
import { Whoever } from './layout/who'
import { Refused } from './pages/login/refused'
import { DOORS, PAGES } from './pages'
import { theme } from './theme'

interface Props {
  /** Why the ticket of the address was no good. */
  refused: ApiError | undefined
}

export function App({ refused }: Props) {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <ModalsProvider>
        <Notifications position="bottom-right" />
        <Boundary>
          <Refused.Provider value={refused}>
            <Inside />
          </Refused.Provider>
        </Boundary>
      </ModalsProvider>
    </MantineProvider>
  )
}

/** The doors for strangers, else the pages for who is logged in. */
function Inside() {
  return (
    <Switch>
      {Object.entries(DOORS).map(([path, Door]) => (
        <Route key={path} path={path}>
          <Door />
        </Route>
      ))}
      <Route>
        <Behind />
      </Route>
    </Switch>
  )
}

function Behind() {
  const token = useToken()
  const [path] = useLocation()
  if (!token) return <Redirect to={loginPath()} replace />
  return (
    <Whoever key={token}>
      <Live>
        <Shell>
          <Boundary key={path}>
            <Switch>
              {Object.entries(PAGES).map(([path, Shown]) => (
                <Route key={path} path={path}>
                  <Shown waiting={<Waiting />} />
                </Route>
              ))}
              <Route>
                <Missing />
              </Route>
            </Switch>
          </Boundary>
        </Shell>
      </Live>
    </Whoever>
  )
}
